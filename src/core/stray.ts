/** Says of an error in a callback that nobody waits for whether it was dealt with: then it does not end the process. */
export type StrayClaim = (error: unknown) => boolean;

const claims = new Set<StrayClaim>();

/** From now on `claim` is asked of every such error, in the asynchronous context of the callback that threw or the promise that was rejected. */
export function claimStrays(claim: StrayClaim): void {
  claims.add(claim);
}

export function isStrayClaimed(error: unknown): boolean {
  for (const claim of claims) if (claim(error)) return true;
  return false;
}
