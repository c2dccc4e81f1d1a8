using System;
using System.Globalization;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

public static class Verify
{
    private const long ToleranceSeconds = 300;
    private const string SecretPrefix = "whsec_";

    /// webhook-signature. Its entries stand for one secret each: one that fits is enough.
    public static bool IsSignedWebhook(
        byte[] body, string webhookId, string timestamp, string signatures, string secret)
    {
        if (!secret.StartsWith(SecretPrefix, StringComparison.Ordinal)
            || !long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds))
        {
            return false;
        }
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        if (seconds < now - ToleranceSeconds || seconds > now + ToleranceSeconds)
        {
            return false;
        }
        var key = Convert.FromBase64String(secret.Substring(SecretPrefix.Length));
        var content = Encoding.UTF8.GetBytes($"{webhookId}.{timestamp}.").Concat(body).ToArray();
        var expected = "v1," + Convert.ToBase64String(Hmac(key, content));
        return signatures.Split(' ').Count(one => AreEqual(expected, one)) > 0;
    }

    /// X-Signature-256. Call it again with X-Signature-256-Next where that header is there.
    public static bool IsSignedBody(byte[] body, string signature, string secret)
    {
        var hash = Hmac(Encoding.UTF8.GetBytes(secret), body);
        var expected = BitConverter.ToString(hash).Replace("-", "").ToLowerInvariant();
        return secret.StartsWith(SecretPrefix, StringComparison.Ordinal) && AreEqual(expected, signature);
    }

    private static byte[] Hmac(byte[] key, byte[] content)
    {
        using (var hmac = new HMACSHA256(key))
        {
            return hmac.ComputeHash(content);
        }
    }

    private static bool AreEqual(string expected, string given) =>
        CryptographicOperations.FixedTimeEquals(
            Encoding.UTF8.GetBytes(expected), Encoding.UTF8.GetBytes(given));
}
