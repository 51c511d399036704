"""The words of the sample catalogue, in English, Spanish and Japanese: categories, accessories, colours, sizes."""

# ruff: noqa: RUF001 (Japanese looks like something else to it)

# A line is a category: two names in each language. A line with "+" is an accessory of the category above it.
_TEXT = {
    ("64GB", "128GB", "256GB", "512GB", "1TB"): """
        smartphone, mobile phone | teléfono móvil, smartphone | スマホ, スマートフォン
        + phone case, mobile cover | funda para móvil, carcasa | スマホケース, スマホカバー
        + screen protector, tempered glass | protector de pantalla, cristal templado | 保護フィルム, 液晶フィルム
        laptop, notebook computer | portátil, ordenador portátil | ノートパソコン, ノートPC
        + laptop sleeve, laptop bag | funda para portátil, maletín | パソコンバッグ, PCケース
        tablet, tablet computer | tableta, tablet | タブレット, タブレットPC
        + tablet stand, tablet holder | soporte para tableta, atril | タブレットスタンド, タブレットホルダー
        digital camera, pocket camera | cámara digital, cámara compacta | デジタルカメラ, デジカメ
        + camera strap, neck strap | correa de cámara, correa de cuello | カメラストラップ, ネックストラップ""",
    ("XS", "S", "M", "L", "XL"): """
        running shoes, trainers | zapatillas de correr, deportivas | ランニングシューズ, 運動靴
        + shoe laces, elastic laces | cordones, cordones elásticos | 靴ひも, シューレース
        + insoles, shoe inserts | plantillas, suelas interiores | インソール, 中敷き
        rain jacket, raincoat | chubasquero, impermeable | レインジャケット, 雨具
        + waterproof spray, fabric protector | spray impermeable, protector textil | 防水スプレー, 撥水スプレー
        summer dress, sundress | vestido de verano, vestido | ワンピース, サマードレス
        + waist belt, dress belt | cinturón, cinturón de vestido | ベルト, ウエストベルト
        cotton t-shirt, tee | camiseta, camiseta de algodón | Tシャツ, 綿シャツ
        winter gloves, warm gloves | guantes, guantes de invierno | 手袋, グローブ""",
    ("0.5L", "1L", "1.5L", "2L", "3L"): """
        coffee maker, coffee machine | cafetera, máquina de café | コーヒーメーカー, コーヒーマシン
        + coffee filters, paper filters | filtros de café, filtros de papel | コーヒーフィルター, ペーパーフィルター
        + descaler, limescale remover | descalcificador, antical | 洗浄剤, 水垢クリーナー
        electric kettle, water boiler | hervidor eléctrico, hervidor | 電気ケトル, 湯沸かし器
        blender, smoothie maker | batidora, licuadora | ブレンダー, ミキサー
        + blender jar, spare jug | jarra de batidora, vaso de repuesto | 替えボトル, ミキサーボトル
        lunch box, bento box | fiambrera, táper | 弁当箱, ランチボックス
        + lunch bag, cooler bag | bolsa térmica, bolsa de almuerzo | 保冷バッグ, ランチバッグ""",
    ("20cm", "40cm", "60cm", "90cm", "120cm"): """
        desk lamp, reading light | lámpara de escritorio, flexo | デスクライト, 卓上ライト
        + light bulb, led bulb | bombilla, bombilla led | 電球, LED電球
        bookshelf, bookcase | estantería, librería | 本棚, ブックシェルフ
        + bookends, book stoppers | sujetalibros, topes de libros | ブックエンド, 本立て
        area rug, carpet | alfombra, tapete | ラグ, カーペット
        + rug pad, anti slip mat | base antideslizante, antideslizante de alfombra | 滑り止めシート, ラグパッド
        throw pillow, cushion | cojín, almohadón | クッション, 座布団
        + pillow cover, cushion cover | funda de cojín, funda de almohadón | クッションカバー, 枕カバー
        wall mirror, hanging mirror | espejo de pared, espejo | 壁掛けミラー, 鏡""",
    ("12in", "16in", "20in", "24in", "28in"): """
        kids bike, childrens bicycle | bicicleta infantil, bici para niños | 子供用自転車, キッズバイク
        + bike helmet, cycling helmet | casco de bicicleta, casco infantil | 自転車ヘルメット, キッズヘルメット
        + bike lock, cycle lock | candado de bicicleta, antirrobo | 自転車ロック, 自転車の鍵
        suitcase, cabin luggage | maleta, maleta de cabina | スーツケース, キャリーケース
        + luggage tag, suitcase label | etiqueta de equipaje, identificador de maleta | ラゲッジタグ, 荷札
        yoga mat, exercise mat | esterilla de yoga, colchoneta | ヨガマット, エクササイズマット
        + yoga strap, stretching band | correa de yoga, cinta de estiramiento | ヨガベルト, ストレッチバンド
        skateboard, cruiser board | monopatín, skate | スケートボード, スケボー""",
}

COLOURS = (
    ("black", "negro", "ブラック"),
    ("white", "blanco", "ホワイト"),
    ("red", "rojo", "レッド"),
    ("blue", "azul", "ブルー"),
    ("green", "verde", "グリーン"),
    ("yellow", "amarillo", "イエロー"),
    ("grey", "gris", "グレー"),
    ("pink", "rosa", "ピンク"),
    ("brown", "marrón", "ブラウン"),
    ("purple", "morado", "パープル"),
)
SIZES = tuple(_TEXT)  # department x size
SYLLABLES = (
    "ka",
    "lo",
    "mi",
    "ven",
    "tor",
    "ra",
    "sol",
    "ne",
    "di",
    "par",
    "bu",
    "zen",
    "fi",
    "gal",
    "os",
    "tri",
    "ma",
)


def _parse() -> tuple[list[list[list[str]]], list[int], list[tuple[int, ...]]]:
    """Names (category x locale x synonym), department and accessories of each category."""
    names: list[list[list[str]]] = []
    departments: list[int] = []
    accessories: list[list[int]] = []
    main = 0
    for department, text in enumerate(_TEXT.values()):
        for number, line in enumerate(text.strip().splitlines(), start=len(names)):
            words = line.strip().removeprefix("+ ")
            names.append([[name.strip() for name in part.split(",")] for part in words.split("|")])
            departments.append(department)
            accessories.append([])
            if words != line.strip():
                accessories[main].append(number)
            else:
                main = number
    return names, departments, [(*codes, *codes, -1, -1)[:2] for codes in accessories]


# A category has two accessories here. If it has one, both are that one; if it has none, both are -1.
CATEGORIES, DEPARTMENTS, ACCESSORIES = _parse()
