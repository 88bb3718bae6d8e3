/** Why a socket was closed (contract 5.1). A client should connect again after 1001, 1011, 1012, 1013 and 4008, and not after the others. */
export const CLOSE = {
  restart: 1012,
  tooBig: 1009,
  malformed: 4400,
  unauthenticated: 4401,
  forbidden: 4403,
  tooSlow: 4008,
  rate: 4429,
} as const;

export type CloseReason = keyof typeof CLOSE;
