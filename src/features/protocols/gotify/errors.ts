import { PrismError, STATUS_OF } from "../../../core/errors.ts";

const UNAUTHENTICATED = "you need to provide a valid access token or user credentials to access this api";
const FORBIDDEN = "you are not allowed to access this api";

/** An error as Gotify's clients read it. */
export class GotifyError extends Error {
  override readonly name = "GotifyError";
  readonly status: number;

  constructor(status: number, description: string) {
    super(description);
    this.status = status;
  }

  get body() {
    return {
      error: process.getBuiltinModule("node:http").STATUS_CODES[this.status] ?? "Error",
      errorCode: this.status,
      errorDescription: this.message,
    };
  }
}

export const badRequest = (description: string): GotifyError => new GotifyError(400, description);
export const unauthenticated = (): GotifyError => new GotifyError(401, UNAUTHENTICATED);
export const forbidden = (): GotifyError => new GotifyError(403, FORBIDDEN);
export const notFound = (description: string): GotifyError => new GotifyError(404, description);

/** An error of Prism in Gotify's form, with Prism's code besides. */
export function errorBodyOf(error: PrismError): object {
  const { code } = error;
  return { ...new GotifyError(STATUS_OF[code], descriptionOf(error)).body, code };
}

function descriptionOf({ code, message }: PrismError): string {
  const status = STATUS_OF[code];
  if (status === 401) return UNAUTHENTICATED;
  if (status === 403) return FORBIDDEN;
  if (status === 404 || status === 405) return "page not found";
  return code === "INTERNAL" ? "Internal error" : message;
}

/** Refusals of a credential, without the header that Gotify does not send. */
export function asGotifyError(error: unknown): unknown {
  return error instanceof PrismError && STATUS_OF[error.code] === 401 ? unauthenticated() : error;
}
