// The description of the HTTP interface, to read and to try; a token of the dashboard's is used as it is.

const page = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#interface",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
  onComplete() {
    const token = sessionStorage.getItem("fairlead.token");
    if (token) page.preauthorizeApiKey("bearer", token);
  },
});
