// Runs before the first paint: the chosen theme, and the files of the page that the address asks for, so that they load
// beside the entry instead of after it. The build fills in PAGES; a file of its own because inline scripts are refused.
(function () {
  var root = document.documentElement;
  try {
    var theme = localStorage.getItem('safelight.theme');
    if (theme) root.dataset.theme = theme;
  } catch {
    // Storage may be forbidden; then the system's theme holds.
  }
  var pages = /*PAGES*/ {} /*END*/;
  var base = new URL(document.baseURI).pathname;
  var name = location.pathname.slice(base.length).split('/')[0] || 'library';
  (pages[name] || []).forEach(function (file) {
    var link = document.createElement('link');
    link.rel = 'modulepreload';
    link.href = file;
    document.head.append(link);
  });
})();
