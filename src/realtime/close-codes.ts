/** Why a socket was closed (contract 5.1). A client should connect again after 1011, 1012 and 4008, after 4429 later, and not after the others. */
export const CLOSE = {
  tooBig: 1009,
  internal: 1011,
  restart: 1012,
  tooSlow: 4008,
  malformed: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  notFound: 4404,
  rate: 4429,
  /** It has not said in time who it is. */
  idle: 4401,
} as const;

export type CloseReason = keyof typeof CLOSE;
