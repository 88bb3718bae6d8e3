import type { Config } from "../../config/load.ts";
import { PrismError } from "../../core/errors.ts";

/**
 * Links that a notification carries are opened by browsers and apps: only http, https and the app schemes that the operator has listed
 * (contract 12.7). @throws VALIDATION_FAILED @param path of the member, for the error.
 */
export function requireLink(url: string | undefined, path: string, { notifications }: Config): void {
  if (url === undefined) return;
  const scheme = URL.canParse(url) ? new URL(url).protocol.slice(0, -1) : "";
  if (scheme === "http" || scheme === "https" || notifications.appSchemes.includes(scheme)) return;
  throw new PrismError("VALIDATION_FAILED", "The body is not valid", {
    details: [
      {
        path,
        code: "VALUE",
        message: "must be an http or https URL, or one of the schemes in notifications.appSchemes",
      },
    ],
  });
}
