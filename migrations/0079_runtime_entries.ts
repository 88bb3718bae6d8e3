/**
 * Keys of runtime entries of configuration files (overrides, silences) that were made: each is made once, also after a
 * person has ended it. Of those that end by themselves the key is kept until then.
 */
export const sql = /* sql */ `
create table runtime_entries (
  key text primary key not null,
  endsAt integer
) strict, without rowid;
`;
