import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_SECONDS = 300;
const SECRET_PREFIX = "whsec_";

/** webhook-signature. Its entries stand for one secret each: one that fits is enough. */
export function isSignedWebhook(body, webhookId, timestamp, signatures, secret) {
  if (!secret.startsWith(SECRET_PREFIX) || !/^[0-9]{1,12}$/.test(timestamp)) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const key = Buffer.from(secret.slice(SECRET_PREFIX.length), "base64");
  const hmac = createHmac("sha256", key).update(`${webhookId}.${timestamp}.`).update(body);
  const expected = "v1," + hmac.digest("base64");
  return signatures.split(" ").map((one) => areEqual(expected, one)).includes(true);
}

/** X-Signature-256. Call it again with X-Signature-256-Next where that header is there. */
export function isSignedBody(body, signature, secret) {
  const expected = createHmac("sha256", secret).update(body).digest("hex");
  return secret.startsWith(SECRET_PREFIX) && areEqual(expected, signature);
}

/** timingSafeEqual throws where the lengths differ. */
function areEqual(expected, given) {
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
