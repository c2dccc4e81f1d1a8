"""The API reference: the OpenAPI document, a page that shows it, and a page of errors."""
