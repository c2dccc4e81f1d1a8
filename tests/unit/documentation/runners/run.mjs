import { readFileSync } from "node:fs";

const { isSignedWebhook, isSignedBody } = await import(process.argv[2]);
for (const line of readFileSync(0, "utf8").trimEnd().split("\n")) {
  const [scheme, body, ...texts] = line.split("\t").map((field) => Buffer.from(field, "base64"));
  const [id, timestamp, signature, secret] = texts.map((text) => text.toString());
  const isValid = scheme.equals(Buffer.from("webhook"))
    ? isSignedWebhook(body, id, timestamp, signature, secret)
    : isSignedBody(body, signature, secret);
  console.log(isValid ? "accepted" : "refused");
}
