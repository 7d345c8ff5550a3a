// A program for administrators: give a user a further From address with its own server, confirm it, and send as it.
//
//     npm install @googleapis/gmail @googleapis/admin
//     node send-as-program.mjs mail-tool.json https://mail.example.com alice@example.com alice@partner.example
//
// The service account of the key file has the scopes below; the user's gateway is read from the environment.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { admin } from "@googleapis/admin";
import { auth, gmail } from "@googleapis/gmail";

const SCOPE = "https://www.googleapis.com/auth/";
const MAIL = ["gmail.settings.sharing", "gmail.settings.basic", "gmail.send"].map((name) => SCOPE + name);
const AUDIT = [`${SCOPE}admin.reports.audit.readonly`];
const CONFIRM = ["outgate.send-as-manage"]; // of this server's own API

const [keyFile, url, user, address] = process.argv.slice(2);
const { GATEWAY_HOST, GATEWAY_PORT, GATEWAY_PASSWORD, RECIPIENT, ADMINISTRATOR } = process.env;
const key = JSON.parse(readFileSync(keyFile, "utf8"));

function credentials(scopes, subject) {
  const made = new auth.JWT({ email: key.client_email, key: key.private_key, keyId: key.private_key_id, scopes, subject });
  // Google's library asks Google for tokens, whatever token_uri says.
  made.transporter.interceptors.request.add({
    resolved: async (request) => {
      if (request.url.href.startsWith("https://oauth2.googleapis.com/token")) request.url = new URL(key.token_uri);
      return request;
    },
  });
  return made;
}

const { users } = gmail({ version: "v1", rootUrl: `${url}/`, auth: credentials(MAIL, user) });
const { sendAs } = users.settings;
const smtpMsa = {
  host: GATEWAY_HOST, port: Number(GATEWAY_PORT), username: address, password: GATEWAY_PASSWORD, securityMode: "starttls",
};

// The gateway is tried first: connected to, secured, logged in to.
const made = await sendAs.create({ userId: "me", requestBody: { sendAsEmail: address, displayName: "Alice", smtpMsa } });
console.log(`${made.data.sendAsEmail} is ${made.data.verificationStatus}; a message with a code was sent to it`);

const terminal = createInterface({ input: process.stdin, output: process.stdout });
const data = { address, code: await terminal.question("The code in it: ") };
terminal.close();
await credentials(CONFIRM, user).request({ url: `${url}/api/v1/send-as/verify`, method: "POST", data });

const message = `From: ${address}\r\nTo: ${RECIPIENT}\r\nSubject: Hello\r\n\r\nSent as another address, by its own server.\r\n`;
const raw = Buffer.from(message).toString("base64url");
const { data: sent } = await users.messages.send({ userId: "me", requestBody: { raw } });
console.log(`sent as ${sent.id}`);

const reports = admin({ version: "reports_v1", rootUrl: `${url}/`, auth: credentials(AUDIT, ADMINISTRATOR) });
const { data: found } = await reports.activities.list({ userKey: user, applicationName: "admin" });
const names = found.items.flatMap((one) => one.events.map((event) => event.name));
console.log("reported:", [...new Set(names)].sort().join(" "));
