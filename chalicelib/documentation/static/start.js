// Scalar as it comes calls outside hosts (fonts, a proxy, an assistant); so set, nothing leaves this origin.
// The token is not kept in the browser's storage, since the dashboard shares this origin.
// The API is called where this page stands: a stage prefix may be part of it, and the page's policy
// lets requests go to no other origin, whatever the document says.
const root = document.querySelector("#reference").dataset.root;
const api = new URL(root || ".", document.baseURI).href.replace(/\/$/, "");

Scalar.createApiReference("#reference", {
  url: `${api}/api/openapi.json`,
  servers: [{ url: api }],
  withDefaultFonts: false,
  telemetry: false,
  proxyUrl: "",
  agent: { disabled: true },
  showDeveloperTools: "never",
  hideClientButton: true,
  hideDarkModeToggle: true,
  persistAuth: false,
});
