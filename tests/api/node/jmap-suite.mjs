// Runs cases of jmap-test-suite, a checkout of which is built in the folder that is named first, against a server.
//
//     node jmap-suite.mjs SUITE SESSION_URL USER TOKEN OTHER_USER OTHER_TOKEN CATEGORY...
//
// Its own command begins by making mailboxes and filling them, which there are none of here. So the cases are called
// without that, with what they need of it: the identities, and the ids of the mailboxes by role. A line of JSON for each.

import { pathToFileURL } from "node:url";

const [suite, sessionUrl, username, password, otherName, otherPassword, ...categories] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${suite}/dist/${path}.js`).href);
const CASES = [
  "core/session", "core/echo", "core/request-errors", "core/method-errors", "core/result-references",
  "binary/upload", "binary/download",
  "identity/identity-get", "identity/identity-changes", "identity/identity-set",
  "submission/submission-get", "submission/submission-changes", "submission/submission-query", "submission/submission-set",
];

const { JmapClient } = await load("client/jmap-client");
const { Transport } = await load("client/transport");
const { TestContext } = await load("runner/test-context");
const { getTests } = await load("runner/test-registry");
for (const name of CASES) await load(`tests/${name}.test`);

const users = { primary: { username, password }, secondary: { username: otherName, password: otherPassword } };

async function connected(account) {
  const client = new JmapClient(new Transport({ authMethod: "bearer", account, timeout: 30000, verbose: false }), sessionUrl);
  await client.initialize();
  return client;
}

async function identitiesOf(client) {
  return (await client.call("Identity/get", { accountId: client.accountId, ids: null })).list;
}

const client = await connected(users.primary);
const context = new TestContext(client, { sessionUrl, users, authMethod: "bearer", timeout: 30000, verbose: false });
context.secondaryClient = await connected(users.secondary);
const mine = await identitiesOf(client);
context.identityIds = mine.map((one) => one.id);
context.identityEmail = mine[0].email;
context.secondaryEmail = (await identitiesOf(context.secondaryClient))[0].email;
for (const { role, id } of (await client.call("Mailbox/get", { accountId: client.accountId, ids: null })).list) {
  context.roleMailboxes[role] = id;
}
context.roleMailboxes.inbox ??= context.roleMailboxes.drafts; // some cases keep what they send there

for (const { testId, category, runIf, fn } of getTests()) {
  if (!categories.includes(category)) continue;
  const reason = runIf ? runIf(context) : true;
  let outcome = reason === true ? "passes" : `skipped: ${reason}`;
  if (reason === true) await fn(context).catch((error) => (outcome = `fails: ${error.message}`));
  console.log(JSON.stringify([testId, outcome]));
}
