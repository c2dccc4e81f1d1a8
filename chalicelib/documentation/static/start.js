// Scalar as it comes calls outside hosts (fonts, a proxy, an assistant); so set, nothing leaves this origin.
// The token is not kept in the browser's storage, since the dashboard shares this origin.
// The address is relative to /docs: a stage prefix may stand before it.
Scalar.createApiReference("#reference", {
  url: "api/openapi.json",
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: "",
  agent: { disabled: true },
  showDeveloperTools: "never",
  hideClientButton: true,
  persistAuth: false,
});
