import type { Register } from "../../../src/client/api-types.gen.ts";
import { Fields } from "../../forms/fields.tsx";
import { registration } from "../../forms/registration.gen.ts";
import { editedOf } from "../../forms/use-resource.ts";

/** Who a new account is of. */
export type Owner = Pick<Partial<Register>, "name" | "email">;

interface Props {
  readonly owner: Owner;
  readonly onChange: (owner: Owner) => void;
  /** The address is known otherwise. */
  readonly isNameOnly?: boolean;
  readonly autoFocus?: boolean;
}

export function OwnerFields({ owner, onChange, isNameOnly = false, autoFocus = false }: Props) {
  const edited = editedOf(registration, owner, (changes) => onChange({ ...owner, ...changes } as Owner));
  const name = { name: "name", label: "Your name", hint: "", autocomplete: "name", autoFocus } as const;
  const email = { name: "email", hint: "", required: false, autocomplete: "email" } as const;
  return <Fields of={edited} show={isNameOnly ? [name] : [name, email]} />;
}

/** What a request gives of them. */
export function ownerOf({ name = "", email = "" }: Owner): Owner {
  return { ...(name.trim() && { name: name.trim() }), ...(email.trim() && { email: email.trim() }) };
}
