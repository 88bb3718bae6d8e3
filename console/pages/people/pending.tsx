import type { User } from "../../../src/client/api-types.gen.ts";
import { useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { personName } from "../../app/people.ts";
import { type Column, plural, Time, UserText } from "../../ui/index.ts";
import { Decide } from "./decide.tsx";
import { PeopleTabs } from "./people-tabs.tsx";
import { loginOf } from "./person-types.ts";

const COLUMNS: readonly Column<User>[] = [
  { label: "Name", cell: (person) => <UserText>{personName(person)}</UserText>, card: "title" },
  { label: "Signs in as", cell: (person) => <UserText>{loginOf(person)}</UserText>, card: "text" },
  { label: "Created", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end" },
];

const EMPTY = {
  title: "No account is pending",
  text: "People who register appear here until a person with the permission users:approve decides.",
};

/** Accounts that wait for approval. */
export default function Pending() {
  const list = useListOf<User>("/users/pending", {});
  const count = list.items?.length ?? 0;
  const waiting = `${plural(count, "account waits", "accounts wait")}: for approval, or for an invited person to open it.`;
  return (
    <ListPage<User>
      of={list}
      title="Pending accounts"
      subtitle={count === 0 ? "No account is pending." : waiting}
      noun="account"
      columns={COLUMNS}
      rowActions={(person) => <Decide person={person} small />}
      tabs={<PeopleTabs value="pending" pending={count} />}
      empty={EMPTY}
    />
  );
}
