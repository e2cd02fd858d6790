// A client that is not an agent, as npm's oauth4webapi does it: finds the tool server's metadata and its issuer after a 401, asks its user
// for consent with PKCE, takes the answer only from that issuer, gets a token bound to its key, lists the tools, gets the next token, and
// gives everything back.
//
// Arguments: the library's entry file, and JSON {resource, client_id, redirect_uri, keyed?, unbound?}. With `keyed`, an algorithm, it proves
// itself with a key (private_key_jwt): prints that key's JWKS and waits for a line until somebody has registered it. With `unbound` it knows
// nothing of DPoP. Prints the authorization URL; reads the URL that the browser came back to from a line; prints one JSON object.

import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

const oauth = await import(pathToFileURL(process.argv[2]))
const told = JSON.parse(process.argv[3])
const plain = { [oauth.allowInsecureRequests]: true }
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]()

const unauthorised = await fetch(told.resource, {
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: '{"jsonrpc":"2.0","id":0,"method":"ping"}',
})
const challenge = unauthorised.headers.get('www-authenticate')
const metadata = /resource_metadata="([^"]+)"/.exec(challenge)[1]
const scope = /scope="([^"]+)"/.exec(challenge)[1]

const resource = new URL(told.resource)
const found = await oauth.processResourceDiscoveryResponse(resource, await fetch(metadata))
const issuer = new URL(found.authorization_servers[0])
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain }),
)
const client = { client_id: told.client_id }
let proves = oauth.None()
if (told.keyed) {
  const own = await oauth.generateKeyPair(told.keyed, { extractable: true })
  const jwk = await crypto.subtle.exportKey('jwk', own.publicKey)
  console.log(JSON.stringify({ keys: [{ ...jwk, kid: 'own' }] }))
  await lines.next()
  proves = oauth.PrivateKeyJwt({ key: own.privateKey, kid: 'own' })
}
const DPoP = told.unbound ? undefined : oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
const verifier = oauth.generateRandomCodeVerifier()
const state = oauth.generateRandomState()

const url = new URL(server.authorization_endpoint)
for (const [name, value] of Object.entries({
  response_type: 'code',
  client_id: told.client_id,
  redirect_uri: told.redirect_uri,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
  resource: told.resource,
  scope,
  state,
}))
  url.searchParams.set(name, value)
if (DPoP) url.searchParams.set('dpop_jkt', await DPoP.calculateThumbprint())
console.log(url.href)

const back = new URL((await lines.next()).value)
// Mix-up (RFC 9207): the same answer in another issuer's name is not taken.
const elsewhere = new URL(back)
elsewhere.searchParams.set('iss', 'https://evil.example')
let mixed_up = 'taken'
try {
  oauth.validateAuthResponse(server, client, elsewhere, state)
} catch {
  mixed_up = 'refused'
}
const parameters = oauth.validateAuthResponse(server, client, back, state)

async function nonced(request) {
  try {
    return await request()
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error
    return request()
  }
}

const options = { DPoP, ...plain, additionalParameters: { resource: told.resource } }
const granted = await nonced(async () =>
  oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(
      server,
      client,
      proves,
      parameters,
      told.redirect_uri,
      verifier,
      options,
    ),
  ),
)

let session
async function mcp(token, body) {
  const headers = new Headers({
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2025-11-25',
  })
  if (session) headers.set('mcp-session-id', session)
  const response = await nonced(() =>
    oauth.protectedResourceRequest(token, 'POST', resource, headers, JSON.stringify({ jsonrpc: '2.0', ...body }), {
      DPoP,
      ...plain,
    }),
  )
  session ??= response.headers.get('mcp-session-id')
  const text = await response.text()
  const data = text.startsWith('{') ? text : (/^data: (\{.*\})$/m.exec(text) ?? [])[1]
  return { status: response.status, answer: data && JSON.parse(data) }
}
const opening = {
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'ide', version: '1' } },
}
const opened = await mcp(granted.access_token, opening)
await mcp(granted.access_token, { method: 'notifications/initialized' })
const listed = await mcp(granted.access_token, { id: 2, method: 'tools/list' })

const refreshed = await nonced(async () =>
  oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, proves, granted.refresh_token, { DPoP, ...plain }),
  ),
)
const again = await mcp(refreshed.access_token, { id: 3, method: 'tools/list' })

await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, proves, refreshed.refresh_token, plain),
)
let refused
try {
  await mcp(refreshed.access_token, { id: 4, method: 'tools/list' })
} catch (error) {
  refused = error.cause?.map?.((challenge) => challenge.parameters.error ?? challenge.scheme)
}

console.log(
  JSON.stringify({
    status: unauthorised.status,
    issuer: server.issuer,
    methods: server.code_challenge_methods_supported,
    proofs: server.token_endpoint_auth_methods_supported,
    mixed_up,
    token_type: granted.token_type,
    scope: granted.scope,
    claims: JSON.parse(Buffer.from(granted.access_token.split('.')[1], 'base64url')),
    opened: opened.status,
    tools: listed.answer.result.tools.map((tool) => tool.name),
    again: again.answer.result.tools.length,
    rotated: refreshed.refresh_token !== granted.refresh_token,
    refused,
  }),
)
process.exit(0)
