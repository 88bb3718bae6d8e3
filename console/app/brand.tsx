/** The mark of Prism. @param size in pixels */
export function BrandMark({ size = 22 }: { readonly size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="var(--accent)"
      stroke-width="2"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d="M12 3 21.500 20h-19z" />
      <path stroke-linecap="round" d="m2 12 7.600-1.600M14.200 11.600 22 8.600M14.600 13l7.400 1" />
    </svg>
  );
}
