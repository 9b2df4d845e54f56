/** The files of a drop, with the folders they lie in, walking into dropped folders. */
export async function droppedFiles(data: DataTransfer, into: string): Promise<{ file: File; folder: string }[]> {
  const entries = [...data.items].filter((item) => item.kind === 'file').map((item) => item.webkitGetAsEntry?.() ?? null);
  if (entries.every((entry) => entry === null)) return [...data.files].map((file) => ({ file, folder: into }));
  const found: { file: File; folder: string }[] = [];
  const walk = async (entry: FileSystemEntry, folder: string): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      if (!clutter(file.name)) found.push({ file, folder });
      return;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    const inside = join(folder, entry.name);
    // A reader hands out its entries in portions until one is empty.
    for (;;) {
      const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (portion.length === 0) return;
      for (const child of portion) await walk(child, inside);
    }
  };
  for (const entry of entries) if (entry) await walk(entry, into);
  return found;
}

/** The files of an `<input type=file>`, with the folders below the chosen one. */
export function chosenFiles(files: FileList, into: string): { file: File; folder: string }[] {
  return [...files]
    .filter((file) => !file.webkitRelativePath || !clutter(file.name))
    .map((file) => ({ file, folder: join(into, file.webkitRelativePath.split('/').slice(0, -1).join('/')) }));
}

const clutter = (name: string) => name === '.DS_Store' || name === 'Thumbs.db' || name === 'desktop.ini';
const join = (a: string, b: string) => (a && b ? `${a}/${b}` : a || b);
