/** The dedupe keys of what a storm holds back, so that its notice can list them. */
export const sql = /* sql */ `
create table suppressed_keys (
  batchId text not null references suppressed_batches(id) on delete cascade, key text not null, primary key (batchId, key)
) strict, without rowid;
`;
