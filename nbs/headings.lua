-- show_doc cells arrive as a Div (execnb notes their run time); headings inside a Div are left out of "On this page".
function Div(el)
  if el.classes:includes('cell') then
    for _, block in ipairs(el.content) do
      if block.t == 'Header' then return el.content end
    end
  end
end

-- Signatures: a default of None says nothing of the type, and a class that a page has just made is not of __main__.
function CodeBlock(el)
  el.text = el.text:gsub(':NoneType=None', '=None'):gsub('__main__%.', ''):gsub('<built%-in function (%w+)>', '%1')
    :gsub('<Logger [%w_.]+ %(%u+%)>', 'LOG')
  return el
end
