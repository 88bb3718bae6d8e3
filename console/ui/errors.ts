/** An error as a person sees it. */
export interface ErrorInfo {
  readonly message: string;
  readonly code: string | undefined;
  readonly requestId: string | undefined;
  /** One line for each refused field. */
  readonly details: readonly string[];
}

/** A way out that the application knows, such as lifting a lock. */
export interface Offer {
  readonly label: string;
  readonly run: () => unknown;
}

let offerFor: (error: unknown) => Offer | undefined = () => undefined;

/** Every shown error has the offer that this returns for it. */
export function offerWithErrors(find: (error: unknown) => Offer | undefined): void {
  offerFor = find;
}

export function offerOf(error: unknown): Offer | undefined {
  return offerFor(error);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** @param message of the error: a detail that only repeats it is not shown again */
function detailLine(detail: unknown, message: string): string | undefined {
  if (typeof detail !== "object" || detail === null) return text(detail);
  const { path, field, message: own } = detail as Record<string, unknown>;
  const at = text(path) ?? text(field);
  const says = text(own);
  if (says !== undefined && message.toLowerCase().includes(says.toLowerCase())) return undefined;
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
    details: (Array.isArray(details) ? details : []).flatMap((each) => detailLine(each, text(message) ?? "") ?? []),
  };
}
