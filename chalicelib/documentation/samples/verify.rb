require "openssl"

TOLERANCE_SECONDS = 300
SECRET_PREFIX = "whsec_"

# webhook-signature. Its entries stand for one secret each: one that fits is enough.
def signed_webhook?(body, webhook_id, timestamp, signatures, secret)
  return false unless secret.start_with?(SECRET_PREFIX) && timestamp.match?(/\A[0-9]{1,12}\z/)
  return false if (Time.now.to_i - timestamp.to_i).abs > TOLERANCE_SECONDS

  key = secret.delete_prefix(SECRET_PREFIX).unpack1("m0")
  content = "#{webhook_id}.#{timestamp}.".b + body.b
  expected = "v1," + [OpenSSL::HMAC.digest("SHA256", key, content)].pack("m0")
  signatures.split(" ").map { |one| OpenSSL.secure_compare(expected, one) }.any?
end

# X-Signature-256. Call it again with X-Signature-256-Next where that header is there.
def signed_body?(body, signature, secret)
  expected = OpenSSL::HMAC.hexdigest("SHA256", secret, body)
  secret.start_with?(SECRET_PREFIX) && OpenSSL.secure_compare(expected, signature)
end
