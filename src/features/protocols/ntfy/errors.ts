import { type ErrorCode, PrismError, STATUS_OF } from "../../../core/errors.ts";

/**
 * Errors of ntfy: the code, whose first three digits are the status, and its text. Clients
 * show both, and some decide by the code (docs/ntfy.md).
 */
const TEXTS = {
  40000: "invalid request",
  40002: "cannot disable cache for delayed message",
  40003: "delayed e-mail notifications are not supported",
  40004: "invalid delay parameter: unable to parse delay",
  40005: "invalid delay parameter: too small, please refer to the docs",
  40006: "invalid delay parameter: too large, please refer to the docs",
  40007: "invalid priority parameter",
  40008: "invalid since parameter",
  40009: "invalid request: topic invalid",
  40010: "invalid request: topic name is not allowed",
  40013: "invalid request: attachment URL is invalid",
  40014: "invalid request: attachments not allowed",
  40015: "invalid request: attachment expires before delayed delivery date",
  40016: "invalid request: client not using the websocket protocol",
  40018: "invalid request: actions invalid",
  40019: "invalid request: Matrix JSON invalid",
  40021: "invalid request: icon URL is invalid",
  40023: "invalid request: no token provided",
  40024: "invalid request: request body must be valid JSON",
  40032: "invalid request: calling is disabled",
  40037: "delayed call notifications are not supported",
  40041: "invalid request: message or title is too large after replacing template",
  40042: "invalid request: request body must be valid JSON if templating is enabled",
  40043: "invalid request: could not parse template",
  40044: "invalid request: template uses disallowed functions",
  40045: "invalid request: template execution failed",
  40047: "invalid request: template file not found",
  40048: "invalid request: template file invalid",
  40049: "invalid request: sequence ID invalid",
  40101: "unauthorized",
  40301: "forbidden",
  40401: "page not found",
  41301: "attachment too large, or bandwidth limit reached",
  41302: "Matrix request body too large",
  42901: "limit reached: too many requests",
  42904: "limit reached: too many topics",
  42905: "limit reached: too much attachment data",
  42909: "limit reached: too many auth failures",
  50001: "internal server error",
  50700: "storage is full; nothing was stored",
} as const;

export type NtfyCode = keyof typeof TEXTS;

const PRISM_CODE_OF: Readonly<Record<number, ErrorCode>> = {
  400: "VALIDATION_FAILED",
  401: "UNAUTHENTICATED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  413: "PAYLOAD_TOO_LARGE",
  429: "RATE_LIMITED",
  507: "STORAGE_FULL",
};

/** A refusal as ntfy's clients know it. */
export class NtfyError extends PrismError {
  readonly ntfyCode: NtfyCode;

  /** @param detail added to the text. */
  constructor(ntfyCode: NtfyCode, detail?: string) {
    const text = detail === undefined ? TEXTS[ntfyCode] : `${TEXTS[ntfyCode]}; ${detail}`;
    super(PRISM_CODE_OF[Math.floor(ntfyCode / 100)] ?? "INTERNAL", text);
    this.name = "NtfyError";
    this.ntfyCode = ntfyCode;
  }

  get status(): number {
    return Math.floor(this.ntfyCode / 100);
  }
}

const CODE_OF_STATUS: Readonly<Record<number, NtfyCode>> = {
  400: 40000,
  401: 40101,
  403: 40301,
  404: 40401,
  413: 41301,
  429: 42901,
  500: 50001,
  507: 50700,
};

/** The members of an error of Prism for ntfy's clients. */
export function errorBodyOf(error: PrismError): object {
  if (error instanceof NtfyError)
    return { code: error.ntfyCode, http: error.status, error: error.message, prism: error.code };
  const status = STATUS_OF[error.code];
  const code = CODE_OF_STATUS[status] ?? status * 100;
  if (error.code === "STORAGE_LIMIT_REACHED") return { code, http: status, error: error.message, prism: error.code };
  const text = TEXTS[code as NtfyCode] ?? error.message.toLowerCase();
  return { code, http: status, error: text, prism: error.code };
}
