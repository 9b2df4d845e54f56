// Comes only with pages of an instance that has a name of its own: puts it where the pages say Safelight's.
(function () {
  var name = document.querySelector('meta[name="application-name"]').content;
  var marks = document.getElementsByClassName('brand');
  function put() {
    if (/Safelight$/.test(document.title)) document.title = document.title.replace(/Safelight$/, function () { return name; });
    for (var i = 0; i < marks.length; i++) {
      var text = marks[i].lastChild;
      if (text && text.nodeType === 3 && text.data.trim() === 'Safelight') text.data = name;
    }
  }
  new MutationObserver(put).observe(document.documentElement, { childList: true, subtree: true });
  put();
})();
