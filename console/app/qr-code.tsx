import { useEffect, useState } from "preact/hooks";

interface Props {
  readonly text: string;
  /** Its content, for people who do not see it. */
  readonly label: string;
}

/** A text as a QR code, dark on the background of its place: give it a white one. */
export function QrCode({ text, label }: Props) {
  const [path, setPath] = useState<{ readonly d: string; readonly size: number }>();
  useEffect(() => {
    let isCurrent = true;
    import("uqr").then(({ encode }) => {
      const { data, size } = encode(text, { border: 1 });
      const cells = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
      if (isCurrent) setPath({ d: cells.join(""), size });
    });
    return () => {
      isCurrent = false;
    };
  }, [text]);
  return (
    <svg
      viewBox={`0 0 ${path?.size ?? 1} ${path?.size ?? 1}`}
      role="img"
      aria-label={label}
      shape-rendering="crispEdges"
    >
      {path && <path d={path.d} fill="#000" />}
    </svg>
  );
}
