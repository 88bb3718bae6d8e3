import { Trash2 } from "lucide";
import type { ComponentChildren } from "preact";
import { IconButton } from "../../ui/index.ts";

interface RowProps {
  readonly remove: string;
  readonly onRemove: () => void;
  readonly children: ComponentChildren;
}

/** Fields with the button that removes what they describe. */
export function RemovableRow({ remove, onRemove, children }: RowProps) {
  return (
    <div class="sp-row">
      {children}
      <IconButton icon={Trash2} label={remove} onClick={onRemove} />
    </div>
  );
}
