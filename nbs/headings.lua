-- show_doc cells arrive as a Div (execnb notes their run time); headings inside a Div are left out of "On this page".
function Div(el)
  if el.classes:includes('cell') then
    for _, block in ipairs(el.content) do
      if block.t == 'Header' then return el.content end
    end
  end
end
