// A certified OpenID provider on loopback, for tests: `node provider.mjs PORT CERTIFICATE KEY`. Says "ready" when it is.
//
// Anybody may sign in, with any password; the user's name is the address. Refresh tokens are used once: a second use ends
// the whole grant. An address that begins with "unverified" is not verified. A mail server asks /token/introspection whose an access token is, as client `gateway`.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import Provider from 'oidc-provider';

const [port, certificate, key] = process.argv.slice(2);
const grants = ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'];

const provider = new Provider(`https://localhost:${port}`, {
  clients: [
    {
      client_id: 'outgate', application_type: 'native', token_endpoint_auth_method: 'none',
      redirect_uris: ['http://127.0.0.1/'], response_types: ['code'], grant_types: grants,
    },
    {
      client_id: 'pages', client_secret: 'pages secret', application_type: 'native',
      redirect_uris: ['http://127.0.0.1/log-in/returned'], response_types: ['code'], grant_types: ['authorization_code'],
    },
    {
      client_id: 'gateway', client_secret: 'gateway secret', redirect_uris: [], response_types: [], grant_types: [],
    },
  ],
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === 'gateway' },
    registration: { enabled: true },
    revocation: { enabled: true, allowedPolicy: () => true },
  },
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (ctx, id) => ({
    accountId: id, claims: () => ({ sub: id, email: id, email_verified: !id.startsWith('unverified') }),
  }),
  pkce: { required: () => true },
  rotateRefreshToken: true,
  scopes: ['openid', 'email', 'offline_access', 'mail.send'],
  ttl: { AccessToken: 3600, RefreshToken: 90 * 86400, Grant: 90 * 86400, Session: 3600, Interaction: 600 },
  cookies: { keys: ['for tests'] },
});

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, provider.callback())
  .listen(Number(port), '127.0.0.1', () => console.log('ready'));
