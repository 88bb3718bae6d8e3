/** Why a socket was closed (contract 5.1). A client should connect again after 1011, 1012 and 4008, after 4429 later, after `expired` with a newer token, and not after the others. */
export const CLOSE = {
  tooBig: 1009,
  internal: 1011,
  restart: 1012,
  tooSlow: 4008,
  malformed: 4400,
  /** The credential was revoked: a logout, a disabled account, a revoked token or key. */
  unauthenticated: 4401,
  /** The token ended by its own time. A client that holds a newer one should connect again. */
  expired: 4401,
  forbidden: 4403,
  notFound: 4404,
  rate: 4429,
  /** It has not said in time who it is. */
  idle: 4401,
} as const;

export type CloseReason = keyof typeof CLOSE;
