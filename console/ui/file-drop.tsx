import { Upload } from "lucide";
import { useId, useState } from "preact/hooks";
import { useAction } from "./button.tsx";
import { cx } from "./dom.ts";
import { formatBytes } from "./format.ts";
import { Icon } from "./icon.tsx";

export interface FileDropProps {
  readonly label: string;
  readonly hint?: string | undefined;
  /** As the attribute of a file input: ".wav,audio/*". */
  readonly accept?: string | undefined;
  readonly multiple?: boolean | undefined;
  readonly maxBytes?: number | undefined;
  readonly onFiles: (files: File[]) => unknown;
  readonly disabled?: boolean | undefined;
}

/** A field for files: drop them, or choose them. Files over `maxBytes` are refused here. */
export function FileDrop({ label, hint, accept, multiple, maxBytes, onFiles, disabled }: FileDropProps) {
  const id = useId();
  const [over, setOver] = useState(false);
  const [refused, setRefused] = useState<string>();
  const { busy, run } = useAction(onFiles);
  const take = (list: FileList | null | undefined) => {
    const chosen = [...(list ?? [])].slice(0, multiple === true ? undefined : 1);
    const tooLarge = chosen.find((file) => maxBytes !== undefined && file.size > maxBytes);
    setRefused(tooLarge && `${tooLarge.name} has ${formatBytes(tooLarge.size)}; at most ${formatBytes(maxBytes ?? 0)}`);
    if (tooLarge !== undefined || chosen.length === 0) return;
    run(chosen);
  };
  return (
    <label
      class={cx("drop", over && "over", disabled && "off")}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        if (disabled !== true) take(event.dataTransfer?.files);
      }}
    >
      <input
        class="sr-only"
        type="file"
        accept={accept}
        multiple={multiple}
        disabled={disabled === true || busy}
        aria-describedby={id}
        onChange={(event) => {
          take(event.currentTarget.files);
          event.currentTarget.value = "";
        }}
      />
      {busy ? <span class="spin" /> : <Icon node={Upload} size={20} />}
      <span class="strong">{label}</span>
      <span class={refused === undefined ? "field-hint" : "field-error"} id={id} dir="auto">
        {refused ?? hint ?? "Drop a file here, or choose one"}
      </span>
    </label>
  );
}
