// An OpenID provider for people who sign in with any name: npm's oidc-provider, with its own pages for login and consent.
//
// Argument: the library's entry file. Prints its issuer; reads JSON {client_id, client_secret, redirect_uri} from a line; prints "ready".

import http from 'node:http'
import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

const { Provider } = await import(pathToFileURL(process.argv[2]))
let answer = (_request, response) => response.writeHead(503).end()
const server = http.createServer((request, response) => answer(request, response))
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${server.address().port}`
console.log(issuer)

const lines = readline.createInterface({ input: process.stdin })
lines.once('line', (line) => {
  const told = JSON.parse(line)
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: told.client_id,
        client_secret: told.client_secret,
        redirect_uris: [told.redirect_uri],
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true } },
  })
  answer = provider.callback()
  console.log('ready')
})
lines.once('close', () => process.exit(0))
