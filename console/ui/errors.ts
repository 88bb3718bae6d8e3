/** What an error shows to a person. */
export interface ErrorInfo {
  readonly message: string;
  readonly code: string | undefined;
  readonly requestId: string | undefined;
  /** One line for each refused field. */
  readonly details: readonly string[];
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function detailLine(detail: unknown): string | undefined {
  if (typeof detail !== "object" || detail === null) return text(detail);
  const { path, field, message } = detail as Record<string, unknown>;
  const at = text(path) ?? text(field);
  const says = text(message);
  return at !== undefined && says !== undefined ? `${at}: ${says}` : (says ?? at);
}

/** Message, code, request id and field details of anything thrown, most of all a PrismError. */
export function errorInfo(error: unknown): ErrorInfo {
  if (typeof error === "string") return { message: error, code: undefined, requestId: undefined, details: [] };
  const { message, code, requestId, details } = (error ?? {}) as Record<string, unknown>;
  return {
    message: text(message) ?? "Something went wrong",
    code: text(code),
    requestId: text(requestId),
    details: (Array.isArray(details) ? details : []).flatMap((each) => detailLine(each) ?? []),
  };
}
