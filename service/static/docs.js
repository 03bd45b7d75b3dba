/** The API's own page: Swagger UI on the description that the service gives of itself. */
/* global SwaggerUIBundle */
SwaggerUIBundle({ url: 'v1/openapi.json', dom_id: '#api', validatorUrl: null, deepLinking: true });
