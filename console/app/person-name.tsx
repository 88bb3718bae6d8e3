import { UserText } from "../ui/index.ts";
import { href } from "./base.ts";
import { type Named, personName } from "./people.ts";
import { useGet } from "./query.ts";
import { can, me } from "./session.ts";

interface PersonNameProps {
  readonly id: string | null;
  /** No link, such as in the title of a row that is one. */
  readonly isPlain?: boolean;
  /** It does not start a sentence. */
  readonly isWithin?: boolean;
}

/** The name of an account, by its id; the id itself for users who may not read accounts. */
export function PersonName({ id, isPlain = false, isWithin = false }: PersonNameProps) {
  const isSelf = id === me.value?.id;
  const query = useGet<Named>(id !== null && !isSelf && can("users:read") ? `/users/${id}` : null);
  if (id === null) return <span class="muted nowrap">the server</span>;
  if (isSelf) return <span>{isWithin ? "you" : "You"}</span>;
  const { data } = query;
  if (!data) return <span class="mono small">{id.slice(-12)}</span>;
  const name = <UserText>{personName(data)}</UserText>;
  return isPlain ? name : <a href={href(`/people/${id}`)}>{name}</a>;
}

const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** A user, a key, or the name that a client of Alertmanager's API sent. */
export function Creator({ name, isWithin }: { readonly name: string } & Pick<PersonNameProps, "isWithin">) {
  if (ID.test(name)) return <PersonName id={name} isPlain isWithin={isWithin ?? false} />;
  return name.startsWith("key:") ? <span>an API key</span> : <UserText lines={1}>{name}</UserText>;
}
