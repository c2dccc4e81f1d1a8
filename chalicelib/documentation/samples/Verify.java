import static java.nio.charset.StandardCharsets.UTF_8;

import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HexFormat;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public final class Verify {
    private static final long TOLERANCE_SECONDS = 300;
    private static final String SECRET_PREFIX = "whsec_";

    /** webhook-signature. Its entries stand for one secret each: one that fits is enough. */
    public static boolean isSignedWebhook(
            byte[] body, String webhookId, String timestamp, String signatures, String secret)
            throws GeneralSecurityException {
        if (!secret.startsWith(SECRET_PREFIX) || !timestamp.matches("[0-9]{1,12}")) {
            return false;
        }
        long age = System.currentTimeMillis() / 1000 - Long.parseLong(timestamp);
        if (Math.abs(age) > TOLERANCE_SECONDS) {
            return false;
        }
        byte[] key = Base64.getDecoder().decode(secret.substring(SECRET_PREFIX.length()));
        byte[] head = (webhookId + "." + timestamp + ".").getBytes(UTF_8);
        String expected = "v1," + Base64.getEncoder().encodeToString(hmac(key, head, body));
        boolean isValid = false;
        for (String one : signatures.split(" ")) {
            isValid |= areEqual(expected, one);
        }
        return isValid;
    }

    /** X-Signature-256. Call it again with X-Signature-256-Next where that header is there. */
    public static boolean isSignedBody(byte[] body, String signature, String secret)
            throws GeneralSecurityException {
        if (!secret.startsWith(SECRET_PREFIX)) {
            return false;
        }
        return areEqual(HexFormat.of().formatHex(hmac(secret.getBytes(UTF_8), body)), signature);
    }

    private static byte[] hmac(byte[] key, byte[]... parts) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        for (byte[] part : parts) {
            mac.update(part);
        }
        return mac.doFinal();
    }

    private static boolean areEqual(String expected, String given) {
        return MessageDigest.isEqual(expected.getBytes(UTF_8), given.getBytes(UTF_8));
    }
}
