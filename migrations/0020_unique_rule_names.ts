/**
 * A rule's name is unique in its project, and among the rules of all projects. Of several rules with
 * one name the oldest keeps it; each later one gets its number, "disk full (2)", its id where
 * another rule has that name already, or a random number where one has that, too: names are chosen
 * by users, and none of them may prevent the migration. Earlier versions of a rule keep their name.
 */
export const sql = /* sql */ `
create index rules_by_name on rules (name, projectId) where deletedAt is null;

update rules set name = substr(name, 1, 240) || ' (' || n || ')' from (
  select id as sameId, row_number() over (partition by coalesce(projectId, ''), name order by createdAt, id) as n from rules where deletedAt is null
) where id = sameId and n > 1 and not exists (
  select 1 from rules other where other.name = substr(rules.name, 1, 240) || ' (' || n || ')' and other.projectId is rules.projectId and other.deletedAt is null
);

update rules set name = substr(name, 1, 210) || ' (' || id || ')' from (
  select id as sameId, row_number() over (partition by coalesce(projectId, ''), name order by createdAt, id) as n from rules where deletedAt is null
) where id = sameId and n > 1;

update rules set name = substr(name, 1, 210) || ' (' || lower(hex(randomblob(16))) || ')' from (
  select id as sameId, row_number() over (partition by coalesce(projectId, ''), name order by createdAt, id) as n from rules where deletedAt is null
) where id = sameId and n > 1;

drop index rules_by_name;

create unique index rules_unique_name on rules (coalesce(projectId, ''), name) where deletedAt is null;
`;
