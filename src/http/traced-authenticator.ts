import { PrismError } from "../core/errors.ts";
import type { Logger } from "../core/log.ts";
import type { Authenticator } from "./credentials.ts";

/** Shows in the log, at debug, who each credential is found to be, or with which code it is refused; never the credential. */
export function tracedAuthenticator(inner: Authenticator, log: Logger): Authenticator {
  return {
    authenticate(credential) {
      if (!log.isDebug()) return inner.authenticate(credential);
      const { kind: credentialKind } = credential;
      try {
        const principal = inner.authenticate(credential);
        log.debug({ credentialKind, kind: principal.kind, caller: principal.key }, "a caller is authenticated");
        return principal;
      } catch (error) {
        log.debug(
          { credentialKind, code: error instanceof PrismError ? error.code : "INTERNAL" },
          "a credential is refused",
        );
        throw error;
      }
    },
  };
}
