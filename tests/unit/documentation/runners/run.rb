require ARGV.shift

$stdin.each_line(chomp: true) do |line|
  scheme, body, *texts = line.split("\t", -1).map { |field| field.unpack1("m0") }
  id, timestamp, signature, secret = texts.map { |text| text.force_encoding("UTF-8") }
  is_valid = scheme == "webhook" ? signed_webhook?(body, id, timestamp, signature, secret) : signed_body?(body, signature, secret)
  puts is_valid ? "accepted" : "refused"
end
