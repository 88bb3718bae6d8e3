/**
 * The addon reads this when it is loaded: request line and headers may take 16 KiB together
 * (contract 12.5).
 */
process.env["UWS_HTTP_MAX_HEADERS_SIZE"] ??= "16384";
