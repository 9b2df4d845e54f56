/** Puts text into the clipboard. Where the page may not (plain HTTP), the field's own text is marked and copied the old way. */
export async function copyText(text: string, field?: HTMLInputElement | null): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    field?.select();
    return document.execCommand('copy');
  }
}
