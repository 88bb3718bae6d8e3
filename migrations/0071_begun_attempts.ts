/** The claim whose handler has begun: in a cluster another node must know it when the leader is gone. */
export const sql = /* sql */ `
alter table jobs add column begunFence integer;
`;
