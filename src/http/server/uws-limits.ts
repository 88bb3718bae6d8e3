/** The addon reads it on load: request line and headers may have 16 KiB (docs/http.md). */
process.env["UWS_HTTP_MAX_HEADERS_SIZE"] ??= "16384";
