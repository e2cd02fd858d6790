// An agent that speaks OAuth through npm's oauth4webapi: discovers the tool server's metadata and its issuer, gets a task token with DPoP
// (learning nonces as it goes), narrows it by token exchange, calls a tool with it, looks at it, and gives it back.
//
// Arguments: the library's entry file, and JSON {resource, assertion, task}. Prints one JSON object.

import { pathToFileURL } from 'node:url'

const oauth = await import(pathToFileURL(process.argv[2]))
const told = JSON.parse(process.argv[3])
const plain = { [oauth.allowInsecureRequests]: true }

const resource = new URL(told.resource)
const found = await oauth.processResourceDiscoveryResponse(
  resource,
  await oauth.resourceDiscoveryRequest(resource, plain),
)
const issuer = new URL(found.authorization_servers[0])
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain }),
)

const client = { client_id: told.id }
// draft-ietf-oauth-spiffe-client-auth: the library has no name for it, and takes it as a function.
const authentication = (_server, _client, body) => {
  body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe')
  body.set('client_assertion', told.assertion)
}
const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
let nonces = 0

// Each request once more if all it lacked was a nonce; the handle has learned it.
async function nonced(request) {
  try {
    return await request()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    nonces += 1
    return request()
  }
}

const details = JSON.stringify([{ type: 'agent_task', task_id: told.task }])
const granted = await nonced(async () =>
  oauth.processClientCredentialsResponse(
    server,
    client,
    await oauth.clientCredentialsGrantRequest(
      server,
      client,
      authentication,
      { authorization_details: details, resource: told.resource },
      { DPoP, ...plain },
    ),
  ),
)
const narrow = await nonced(async () =>
  oauth.processGenericTokenEndpointResponse(
    server,
    client,
    await oauth.genericTokenEndpointRequest(
      server,
      client,
      authentication,
      'urn:ietf:params:oauth:grant-type:token-exchange',
      {
        subject_token: granted.access_token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        scope: told.scope,
      },
      { DPoP, ...plain },
    ),
  ),
)

const opening = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'oauth4webapi', version: '3' } },
}
const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' })
const opened = await nonced(() =>
  oauth.protectedResourceRequest(narrow.access_token, 'POST', resource, headers, JSON.stringify(opening), {
    DPoP,
    ...plain,
  }),
)

async function introspect() {
  const response = await oauth.introspectionRequest(server, client, authentication, narrow.access_token, plain)
  return oauth.processIntrospectionResponse(server, client, response)
}
const before = await introspect()
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, authentication, granted.access_token, plain),
)
const after = await introspect()
let refused
try {
  await nonced(() =>
    oauth.protectedResourceRequest(narrow.access_token, 'POST', resource, headers, JSON.stringify(opening), {
      DPoP,
      ...plain,
    }),
  )
} catch (error) {
  refused = error.cause?.map?.((challenge) => challenge.parameters.error ?? challenge.scheme)
}

console.log(
  JSON.stringify({
    issuer: server.issuer,
    scopes: found.scopes_supported,
    token_type: granted.token_type,
    granted: granted.scope,
    narrowed: narrow.scope,
    issued_token_type: narrow.issued_token_type,
    nonces,
    opened: opened.status,
    before,
    after,
    refused,
  }),
)
