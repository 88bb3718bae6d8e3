/** `code` of errors of Node that pass when files or connections are closed; the last one: a thread could not begin. */
const CODES: ReadonlySet<unknown> = new Set(["EMFILE", "ENFILE", "ERR_WORKER_INIT_FAILED"]);

/** Whether something failed because the process has no free file descriptor: it can be tried again. */
export function isOutOfDescriptors(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && "code" in error && CODES.has(error.code);
}
