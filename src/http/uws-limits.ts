/**
 * Read by the addon when it is loaded: request line and headers may have 16 KiB together
 * (docs/http.md).
 */
process.env["UWS_HTTP_MAX_HEADERS_SIZE"] ??= "16384";
