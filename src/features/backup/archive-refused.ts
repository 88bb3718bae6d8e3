/**
 * Why an archive is not made or not taken. `damaged`: it is not what was written, or never was one; `untrusted`: nothing proves who made it;
 * `newer`: a later version did; `passphrase`: the wrong one; `space`: there is no room for it; `exists`: something is where it would go.
 */
export type ArchiveProblem = "damaged" | "untrusted" | "newer" | "passphrase" | "space" | "exists";

/** An archive cannot be used, or not be made. The message says what to do. */
export class ArchiveRefused extends Error {
  readonly problem: ArchiveProblem;

  constructor(problem: ArchiveProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ArchiveRefused";
    this.problem = problem;
  }
}
