/** Media that are dragged over the page: whatever names a folder (`data-folder`, `data-bucket`) takes them. */
import { copy, move, type Those } from './bulk';

const places = '[data-folder]';
let stop = () => {};

/** Begins; ends by itself with the drop. `done` is called after something was moved. */
export function carry(those: Those, done: () => void) {
  stop();
  let over: HTMLElement | null = null;
  let open: ReturnType<typeof setTimeout> | undefined;

  const mark = (place: HTMLElement | null) => {
    if (place === over) return;
    over?.removeAttribute('data-over');
    place?.setAttribute('data-over', '');
    over = place;
    clearTimeout(open);
    // A folder of the tree opens under a hand that waits.
    open = setTimeout(() => place?.parentElement?.querySelector<HTMLElement>('[aria-expanded=false]')?.click(), 700);
  };
  const placeAt = (event: DragEvent) => (event.dataTransfer?.types.includes('Files') ? null : (event.target as Element | null)?.closest?.<HTMLElement>(places) ?? null);

  const dragover = (event: DragEvent) => {
    const place = placeAt(event);
    mark(place);
    if (!place) return;
    event.preventDefault();
    event.dataTransfer!.dropEffect = event.ctrlKey || event.altKey ? 'copy' : 'move';
  };
  const drop = (event: DragEvent) => {
    const place = placeAt(event);
    stop();
    if (!place) return;
    event.preventDefault();
    const { folder = '', bucket } = place.dataset;
    void (event.ctrlKey || event.altKey ? copy : move)(those, folder, bucket).then(done);
  };
  const end = () => stop();
  document.addEventListener('dragover', dragover);
  document.addEventListener('drop', drop);
  document.addEventListener('dragend', end);
  stop = () => {
    mark(null);
    clearTimeout(open);
    document.removeEventListener('dragover', dragover);
    document.removeEventListener('drop', drop);
    document.removeEventListener('dragend', end);
    stop = () => {};
  };
}
