/**
 * An answer of a provider that is not the usual one; what the text ones do is done to the
 * connection.
 */
export type Fault =
  | { readonly status: number; readonly json?: unknown; readonly headers?: Readonly<Record<string, string>> }
  /** Nothing is ever answered. */
  | "silence"
  /** The answer begins and does not end. */
  | "slow-body"
  /** The connection is reset. */
  | "reset";
