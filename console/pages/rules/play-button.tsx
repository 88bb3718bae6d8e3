import { Play } from "lucide";
import { useRef } from "preact/hooks";
import { IconButton, toast } from "../../ui/index.ts";

/** Plays a sound by its temporary link. */
export function PlayButton({ url, name }: { readonly url: string; readonly name: string }) {
  const audio = useRef<HTMLAudioElement | null>(null);
  const play = async () => {
    audio.current?.pause();
    audio.current = new Audio(url);
    await audio.current.play().catch(() => toast.error(`${name} cannot be played by this browser`));
  };
  return <IconButton small icon={Play} label={`Play ${name}`} onClick={play} />;
}
